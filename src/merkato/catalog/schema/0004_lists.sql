-- What lists of products are read from, so that they are quick with a hundred thousand products: statements made for
-- the filters that are asked for and planned for their values, over indexes in the order that is asked for.

alter table product_texts add column title_search tsvector generated always as (ts_filter(search, '{a}')) stored;
create index product_title_search on product_texts using gin (title_search) where living;
create index product_titles on product_texts (locale, sort_title, product_id) where living;
-- what is in a category is read from its index alone
create index product_categories_of_category on product_categories (category_id) include (product_id);
drop index product_categories_by_category;

create table product_offers (  -- products.offers again, to sort and filter by
    product_id uuid   not null references products,
    currency   text   not null,
    from_minor bigint not null,
    primary key (product_id, currency)
);
create index product_offers_by_price on product_offers (currency, from_minor, product_id);
insert into product_offers select p.id, o.key, o.value::bigint from products p, jsonb_each_text(p.offers) o;

-- The pieces of three letters of a word; as pg_trgm makes them.
create function trigrams(word text) returns text[] language sql immutable as $$
    select array_agg(distinct substr('  ' || word || ' ', n, 3)) from generate_series(1, length(word) + 1) n
$$;

create table words (  -- every word of a title that ever was, folded, to correct typing mistakes by
    word     text   primary key,
    trigrams text[] not null
);
create index words_by_trigram on words using gin (trigrams);
insert into words select w, trigrams(w)
  from (select distinct w from product_texts, regexp_split_to_table(sort_title, ' ') w where w <> '') found;

-- What is wanted, as statements about products p, one for each filter that is there. `wanted` is the struct of that
-- name in store/listing.py. Its values come in as quoted literals only.
create function conditions(wanted jsonb) returns jsonb language plpgsql stable as $$
declare
    made jsonb := '{}';
    filter jsonb;
    place int := 0;
begin
    if jsonb_typeof(wanted -> 'categories') = 'array' then
        made := made || jsonb_build_object('category', format(
            'exists (select from product_categories c where c.product_id = p.id and c.category_id = any(%L::uuid[]))',
            array(select jsonb_array_elements_text(wanted -> 'categories'))));
    end if;
    if coalesce(wanted ->> 'min_minor', wanted ->> 'max_minor') is not null then
        made := made || jsonb_build_object('price', format(
            'exists (select from product_offers o where o.product_id = p.id and o.currency = %L
                        and o.from_minor between %s and %s)', wanted ->> 'currency',
            coalesce((wanted ->> 'min_minor')::bigint, 0), coalesce((wanted ->> 'max_minor')::bigint, 1000000000000)));
    end if;
    if wanted ->> 'in_stock' is not null then
        made := made || jsonb_build_object('in_stock', case when (wanted ->> 'in_stock')::boolean
                                                            then 'p.in_stock <> ''no''' else 'p.in_stock = ''no''' end);
    end if;
    for filter in select jsonb_array_elements(nullif(wanted -> 'attributes', 'null')) loop
        made := made || jsonb_build_object('attribute ' || place, (
            select '(' || string_agg(format('p.attributes @> %L', alternative::text), ' or ') || ')'
              from jsonb_array_elements(filter) alternative));
        place := place + 1;
    end loop;
    return made;
end $$;

-- The query of a search in the dictionaries of the wanted locale and of the shop's, no dictionary twice.
create function search_query(wanted jsonb) returns tsquery language sql stable as $$
    select case when l.first = l.second then to_tsquery('simple', wanted ->> 'search') || to_tsquery(l.first, wanted ->> 'search')
                else to_tsquery('simple', wanted ->> 'search') || to_tsquery(l.first, wanted ->> 'search')
                  || to_tsquery(l.second, wanted ->> 'search') end
      from (select (wanted -> 'languages' ->> 0)::regconfig, (wanted -> 'languages' ->> 1)::regconfig) l(first, second)
$$;

-- A statement that reads a page: products `p` of `source` that fit, in an order, each with its place in it.
create function page_of(place text, source text, fits text, ordering text, most int) returns text
language sql immutable as $$
    select format('(select p.id, (%s)::text as place, row_number() over (order by %s) as n
                      from %s where %s order by %s limit %s)', place, ordering, source, fits, ordering, most)
$$;

-- A page of products on sale in the order `sort`, behind (place, id) of the last one shown. A search by relevance
-- weighs at most `candidates` products: those whose title is what was asked for, then those whose title fits, then the
-- others; other orders know no such limit. Products are looked up one by one until a page is full, never hashed all;
-- those without a price are looked for only where a page has room for them.
create function listed(wanted jsonb, sort text, behind text, behind_id uuid, most int, candidates int)
returns table (id uuid, slug text, locale text, title text, image text, from_minor bigint, in_stock text, place text)
language plpgsql stable
set synchronize_seqscans = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    locales text[] := array(select jsonb_array_elements_text(wanted -> 'locales'));
    asked   tsquery := search_query(wanted);
    filters jsonb := conditions(wanted);
    fits    text := 'p.status = ''active''';
    texts   text := format('t.living and t.locale = any(%L::text[])', locales);
    down    boolean := sort = '-price';
    least   bigint := case when sort = '-price' then -1 else 4503599627370496 end;  -- place of those without a price
    rows    text;
begin
    select fits || coalesce(string_agg(' and ' || value, ''), '') into fits from jsonb_each_text(filters)
     where key <> 'price' or sort not in ('price', '-price');
    if asked is not null and sort <> 'relevance' then
        fits := fits || format(
            ' and p.id in (select t.product_id from product_texts t where %s and t.search @@ %L::tsquery)', texts, asked);
    end if;
    case sort
    when 'newest' then
        rows := page_of('(extract(epoch from p.published_at) * 1000000)::bigint', 'products p',
            fits || case when behind is null then '' else format(
                ' and (p.published_at, p.id) < (%L::timestamptz, %L::uuid)',
                'epoch'::timestamptz + behind::bigint * interval '1 microsecond', behind_id) end,
            'p.published_at desc, p.id desc', most);
    when 'price', '-price' then
        rows := page_of('o.from_minor',
            format('product_offers o join products p on p.id = o.product_id and o.currency = %L', wanted ->> 'currency'),
            fits || format(' and o.from_minor between %s and %s', coalesce(wanted ->> 'min_minor', '0'),
                           coalesce(wanted ->> 'max_minor', '1000000000000'))
                 || case when behind is null then '' else format(
                        ' and (o.from_minor, o.product_id) %s (%L::bigint, %L::uuid)',
                        case when down then '<' else '>' end, behind, behind_id) end,
            case when down then 'o.from_minor desc, o.product_id desc' else 'o.from_minor, o.product_id' end, most);
        if not filters ? 'price' then  -- the limit around both stops before the second where the first is enough
            rows := format('(select * from (%s union all %s) p limit %s)', rows, page_of(least::text, 'products p',
                fits || format(' and not exists (select from product_offers o where o.product_id = p.id and o.currency = %L)',
                               wanted ->> 'currency')
                     || case when behind is distinct from least::text then '' else format(
                            ' and p.id %s %L::uuid', case when down then '<' else '>' end, behind_id) end,
                case when down then 'p.id desc' else 'p.id' end, most), most);
        end if;
    when 'title' then  -- of each product the text in the best locale
        select string_agg(page_of('t.sort_title', 'product_texts t join products p on p.id = t.product_id',
                   fits || format(' and t.living and t.locale = %L and not exists (
                       select from product_texts b where b.product_id = p.id and b.locale = any(%L::text[]))',
                       one, locales[:nth::int - 1])
                   || case when behind is null then '' else format(
                       ' and (t.sort_title, t.product_id) > (%L collate "C", %L::uuid)', behind, behind_id) end,
                   't.sort_title, t.product_id', most), ' union all ')
          into rows from unnest(locales) with ordinality u(one, nth);
        rows := format('(select p.id, p.place, row_number() over (order by p.place collate "C", p.id) as n from (%s) p)', rows);
    when 'relevance' then  -- the best first; what nobody asks for any more is not even looked up
        -- `offset 0`: texts are found by their index first, however many the planner expects
        select string_agg(format('(select p.id, t.search
                                     from (select t.product_id, t.search from product_texts t where %s and %s offset 0) t
                                     join products p on p.id = t.product_id where %s limit %s)',
                                 texts, fit, fits, candidates), ' union all ')
          into rows
          from (values (format('t.sort_title = %L', wanted ->> 'words')),
                       (format('t.title_search @@ %L::tsquery', asked)),
                       (format('t.search @@ %L::tsquery', asked))) best(fit);
        rows := page_of('p.rank', format('(select f.id, max((ts_rank(f.search, %L::tsquery, 1) * 1000000)::bigint) as rank
                                             from (%s limit %s) f group by f.id) p', asked, rows, candidates),
            case when behind is null then 'true'
                 else format('(p.rank, p.id) < (%L::bigint, %L::uuid)', behind, behind_id) end,
            'p.rank desc, p.id desc', most);
    end case;
    return query execute format(
        'select page.id, t.slug, t.locale, t.title, p.image, (p.offers ->> %L)::bigint, p.in_stock, page.place
           from (%s) page join products p on p.id = page.id
           join lateral (select t.locale, t.title, t.slug from product_texts t
                          where t.product_id = page.id and t.locale = any(%L::text[])
                          order by array_position(%L::text[], t.locale) limit 1) t on true
          order by page.place = %L, page.n limit %s', wanted ->> 'currency', rows, locales, locales, least, most);
end $$;

-- How many of the products that fit have what, of the facets in `which`: total, category, price, in_stock, attributes
-- (`one` of them, or all but `left_out`). Filters that are not to count for a facet are left out by whoever asks.
create function facets(wanted jsonb, which text[], one text, left_out text[], names_most int, values_most int)
returns jsonb language plpgsql stable as $$
declare
    locales text[] := array(select jsonb_array_elements_text(wanted -> 'locales'));
    asked   tsquery := search_query(wanted);
    fits    text := 'p.status = ''active''';
    made    jsonb;
begin
    if asked is not null then
        fits := fits || format(' and p.id in (select t.product_id from product_texts t where t.living
            and t.locale = any(%L::text[]) and t.search @@ %L::tsquery)', locales, asked);
    end if;
    select fits || coalesce(string_agg(' and ' || value, ''), '') into fits from jsonb_each_text(conditions(wanted));
    execute format($query$
        with recursive up (id, above) as (
            select id, id from categories
            union select u.id, c.parent_id from up u join categories c on c.id = u.above where c.parent_id is not null),
        hits as materialized (
            select p.id, p.in_stock, p.attributes, (p.offers ->> %1$L)::bigint as from_minor from products p where %2$s)
        select jsonb_build_object(
            'total', case when 'total' = any(%3$L) then (select count(*) from hits) end,
            'in_stock', case when 'in_stock' = any(%3$L) then (
                select jsonb_build_object('yes', count(*) filter (where in_stock <> 'no'),
                                          'no', count(*) filter (where in_stock = 'no')) from hits) end,
            'price', case when 'price' = any(%3$L) then (
                select jsonb_build_object('min_minor', min(from_minor), 'max_minor', max(from_minor)) from hits) end,
            'category', case when 'category' = any(%3$L) then (
                select coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'parent_id', n.parent_id, 'slug', t.slug,
                                    'title', t.title, 'count', c.count) order by c.count desc, t.title, c.id), '[]')
                  from (select above as id, count(*) from (
                            select distinct up.above, h.id from hits h join product_categories pc on pc.product_id = h.id
                              join up on up.id = pc.category_id) pairs group by above) c
                  join categories n on n.id = c.id
                  join lateral (select t.slug, t.title from category_texts t
                                 where t.category_id = c.id and t.locale = any(%4$L)
                                 order by array_position(%4$L::text[], t.locale) limit 1) t on true) end,
            'attributes', case when 'attributes' = any(%3$L) then (
                select coalesce(jsonb_object_agg(name, values), '{}')
                  from (select name, jsonb_agg(jsonb_build_object('value', value, 'count', count)
                                               order by count desc, value) as values
                          from (select *, row_number() over (partition by name order by count desc, value) as n,
                                       sum(count) over (partition by name) as whole
                                  from (select a.key as name, a.value, count(*) from hits h, jsonb_each(h.attributes) a
                                         where %5$s group by a.key, a.value) counted) ranked
                         where n <= %6$s group by name, whole order by whole desc, name limit %7$s) named) end)
        $query$,
        wanted ->> 'currency', fits, which, locales,
        coalesce('a.key = ' || quote_literal(one), format('a.key <> all(%L::text[])', left_out)), values_most, names_most)
      into made;
    return made;
end $$;

-- Words of titles that are about as long as a word and most like it, by the share of pieces that both have.
create function like_words(asked text, most int) returns table (word text, likeness real)
language sql stable as $$
    -- the word that is asked for is cut into pieces once, not once for every word that is looked at
    with wanted as materialized (select trigrams(asked) as pieces)
    select w.word, (shared.n / (cardinality(w.trigrams) + cardinality((select pieces from wanted)) - shared.n))::real
      from words w
      cross join lateral (select count(*)::real from unnest(w.trigrams) piece
                           where piece = any((select pieces from wanted)::text[])) shared(n)
     where w.trigrams && (select pieces from wanted)
       and length(w.word) between length(asked) - 2 and length(asked) + 2
     order by 2 desc, 1 limit most
$$;
