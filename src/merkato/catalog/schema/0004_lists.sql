-- What lists of products are read from, so that they are quick with a hundred thousand products: statements made for
-- the filters that are asked for and planned for their values, over indexes in the order that is asked for. What a product
-- is filtered by stands beside its texts too, in one index with their words, so that no product is looked up that is
-- not shown.

-- The attributes of a product, each as a text that filters ask for: `{"colour": "moss"}`.
create function traits_of(attributes jsonb) returns text[] language sql immutable as $$
    select array(select jsonb_build_object(key, value)::text from jsonb_each(attributes))
$$;
alter table products
    add column traits text[] not null generated always as (traits_of(attributes)) stored,
    add column categories uuid[] not null default '{}';  -- what product_categories says
update products p set categories = c.ids
  from (select product_id, array_agg(category_id order by category_id) as ids
          from product_categories group by product_id) c
 where c.product_id = p.id;
drop index products_by_attribute;
create index products_filtered on products using gin (categories, traits) where status = 'active';

alter table product_texts
    add column title_search tsvector generated always as (ts_filter(search, '{a}')) stored,
    -- of its product:
    add column on_sale    boolean not null default false,  -- it is active
    add column traits     text[]  not null default '{}',
    add column categories uuid[]  not null default '{}';
update product_texts t set on_sale = p.status = 'active', traits = p.traits, categories = p.categories
  from products p where p.id = t.product_id;
drop index product_search;
create index product_search on product_texts using gin (search, categories, traits) where on_sale;
create index product_title_search on product_texts using gin (title_search, categories, traits) where on_sale;
create index product_titles on product_texts (locale, sort_title, product_id) where on_sale;

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

-- A word, and what is left of it without each of its letters: words one stroke apart share one of these.
create function shortened(word text) returns text[] language sql immutable as $$
    select array_agg(distinct left(word, n) || substr(word, n + 2)) from generate_series(0, length(word)) n
$$;

create table words (  -- every word of a title that ever was, folded, to correct typing mistakes by
    word      text   primary key,
    trigrams  text[] not null,
    shortened text[] not null generated always as (shortened(word)) stored
);
create index words_by_trigram on words using gin (trigrams);
create index words_by_shortened on words using gin (shortened);
insert into words (word, trigrams) select w, trigrams(w)
  from (select distinct w from product_texts, regexp_split_to_table(sort_title, ' ') w where w <> '') found;

-- The query of a search in the dictionaries of the wanted locale and of the shop's, none of its forms twice.
create function search_query(wanted jsonb) returns tsquery language sql stable as $$
    select string_agg(distinct '(' || form || ')', ' | ')::tsquery
      from (select to_tsquery(name::regconfig, wanted ->> 'search')::text as form
              from jsonb_array_elements_text(wanted -> 'languages' || '"simple"') name) forms
     where form <> ''
$$;

-- What is wanted of the categories and attributes of `of`, which is products p or product_texts t, as a condition;
-- `wanted` is the struct of that name in store/listing.py. Its values come in as quoted literals only.
create function filters(wanted jsonb, of text) returns text language sql stable as $$
    select coalesce(string_agg(condition, ''), '') from (
        select format(' and %s.categories && %L::uuid[]', of,
                      array(select jsonb_array_elements_text(wanted -> 'categories')))
         where jsonb_typeof(wanted -> 'categories') = 'array'
        union all
        select format(' and %s.traits && %L::text[]', of,
                      array(select alternative::text from jsonb_array_elements(attribute) alternative))
          from jsonb_array_elements(nullif(wanted -> 'attributes', 'null')) attribute) found(condition)
$$;

-- What is wanted of the price and the stock of products p.
create function offered(wanted jsonb) returns text language sql stable as $$
    select case when coalesce(wanted ->> 'min_minor', wanted ->> 'max_minor') is null then '' else format(
               ' and exists (select from product_offers o where o.product_id = p.id and o.currency = %L
                                and o.from_minor between %s and %s)', wanted ->> 'currency',
               coalesce(wanted ->> 'min_minor', '0'), coalesce(wanted ->> 'max_minor', '1000000000000')) end
        || case (wanted ->> 'in_stock')::boolean when true then ' and p.in_stock <> ''no'''
                                                 when false then ' and p.in_stock = ''no''' else '' end
$$;

-- The texts of a search, the best first: those whose title is what was asked for, those whose title has its words,
-- all others. `texts` finds them in the order of the index, and not those of products that a better one stands for.
create function tiers(wanted jsonb) returns table (tier int, texts text) language sql stable as $$
    with asked (fits, query, alone) as (
        select format('t.on_sale and t.locale = any(%L::text[])',
                      array(select jsonb_array_elements_text(wanted -> 'locales'))) || filters(wanted, 't'),
               search_query(wanted), jsonb_array_length(wanted -> 'locales') = 1),
    best (tier, fit) as (
        select 2, format('t.sort_title = %L', wanted ->> 'words')
        union all select 1, format('t.title_search @@ %L::tsquery', query) from asked
        union all select 0, format('t.search @@ %L::tsquery', query) from asked)
    select tier, format('select t.product_id, t.search from product_texts t where %s and %s', fits, fit)
              || case when better is null then '' when alone then ' and not ' || better else format(
                     ' and t.product_id not in (select t.product_id from product_texts t where %s and %s)', fits, better) end
      from asked, (select *, lag(fit) over (order by tier desc) as better from best) best order by tier desc
$$;

-- How many rows the planner expects of a statement.
create function expected(statement text) returns bigint language plpgsql as $$
declare
    plan json;
begin
    execute 'explain (format json) ' || statement into plan;
    return plan -> 0 -> 'Plan' ->> 'Plan Rows';
end $$;

-- A statement that reads a page: products `p` of `source` that fit, in an order, each with its place in it.
create function page_of(place text, source text, fits text, ordering text, most int) returns text
language sql immutable as $$
    select format('(select p.id, (%s)::text as place, row_number() over (order by %s) as n
                      from %s where %s order by %s limit %s)', place, ordering, source, fits, ordering, most)
$$;

-- A page of products on sale in the order `sort`, behind (place, id) of the last one shown. A search by relevance
-- weighs `candidates` products of each tier, and of no tier that is not needed; other orders know no such limit.
-- Products are looked up one by one until a page is full, never hashed all; those without a price are looked for only
-- where a page has room for them.
create function listed(wanted jsonb, sort text, behind text, behind_id uuid, most int, candidates int)
returns table (id uuid, slug text, locale text, title text, image text, from_minor bigint, in_stock text, place text)
language plpgsql volatile  -- explain asks for it
set synchronize_seqscans = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    few     constant int := 2000;
    apart   constant bigint := 10000000;  -- between the places of two tiers; a rank is at most a tenth of it
    locales text[] := array(select jsonb_array_elements_text(wanted -> 'locales'));
    asked   tsquery := search_query(wanted);
    offer   text := offered(wanted);
    fits    text := 'p.status = ''active''' || filters(wanted, 'p') || offer;
    down    boolean := sort = '-price';
    least   bigint := case when sort = '-price' then -1 else 4503599627370496 end;  -- place of those without a price
    rows    text;
begin
    if asked is not null and sort <> 'relevance' then
        fits := fits || format(' and p.id in (select t.product_id from product_texts t where t.on_sale
            and t.locale = any(%L::text[]) and t.search @@ %L::tsquery %s)', locales, asked, filters(wanted, 't'));
    end if;
    case sort
    when 'newest' then
        rows := page_of('(extract(epoch from p.published_at) * 1000000)::bigint', 'products p',
            fits || case when behind is null then '' else format(
                ' and (p.published_at, p.id) < (%L::timestamptz, %L::uuid)',
                'epoch'::timestamptz + behind::bigint * interval '1 microsecond', behind_id) end,
            'p.published_at desc, p.id desc', most);
    when 'price', '-price' then
        if filters(wanted, 'p') <> '' and  -- so few that all of them are sorted sooner than found by their price
           expected('select from products p where ' || fits) < few then
            rows := format('coalesce((p.offers ->> %L)::bigint, %s)', wanted ->> 'currency', least);
            rows := page_of(rows, 'products p',
                fits || case when behind is null then '' else format(' and (%s, p.id) %s (%L::bigint, %L::uuid)',
                            rows, case when down then '<' else '>' end, behind, behind_id) end,
                rows || case when down then ' desc, p.id desc' else ', p.id' end, most);
        else
            rows := page_of('o.from_minor',
                format('product_offers o join products p on p.id = o.product_id and o.currency = %L', wanted ->> 'currency'),
                fits || format(' and o.from_minor between %s and %s', coalesce(wanted ->> 'min_minor', '0'),
                               coalesce(wanted ->> 'max_minor', '1000000000000'))
                     || case when behind is null then '' else format(
                            ' and (o.from_minor, o.product_id) %s (%L::bigint, %L::uuid)',
                            case when down then '<' else '>' end, behind, behind_id) end,
                case when down then 'o.from_minor desc, o.product_id desc' else 'o.from_minor, o.product_id' end, most);
            if coalesce(wanted ->> 'min_minor', wanted ->> 'max_minor') is null then
                -- the limit around both stops before the second where the first is enough
                rows := format('(select * from (%s union all %s) p limit %s)', rows, page_of(least::text, 'products p',
                    fits || format(' and not exists (select from product_offers o where o.product_id = p.id and o.currency = %L)',
                                   wanted ->> 'currency')
                         || case when behind is distinct from least::text then '' else format(
                                ' and p.id %s %L::uuid', case when down then '<' else '>' end, behind_id) end,
                    case when down then 'p.id desc' else 'p.id' end, most), most);
            end if;
        end if;
    when 'title' then  -- of each product the text in the best locale
        select string_agg(page_of('t.sort_title', 'product_texts t join products p on p.id = t.product_id',
                   fits || format(' and t.on_sale and t.locale = %L and not exists (
                       select from product_texts b where b.product_id = p.id and b.locale = any(%L::text[]))',
                       one, locales[:nth::int - 1])
                   || case when behind is null then '' else format(
                       ' and (t.sort_title, t.product_id) > (%L collate "C", %L::uuid)', behind, behind_id) end,
                   't.sort_title, t.product_id', most), ' union all ')
          into rows from unnest(locales) with ordinality u(one, nth);
        rows := format('(select p.id, p.place, row_number() over (order by p.place collate "C", p.id) as n from (%s) p)', rows);
    when 'relevance' then
        -- `offset 0`: texts are found by their index first, however many the planner expects
        select string_agg(format('(select f.product_id as id, %s + max((ts_rank(f.search, %L::tsquery, 1) * 1000000)::bigint) as rank
                                     from (%s limit %s) f group by f.product_id order by rank desc, id desc)',
                   t.tier * apart, asked, case when offer = '' then t.texts else format(
                       'select t.* from (%s offset 0) t join products p on p.id = t.product_id %s', t.texts, offer) end,
                   candidates), ' union all ')
          into rows from tiers(wanted) t where behind is null or behind::bigint >= t.tier * apart;
        rows := page_of('p.rank', format('(select * from (%s) p %s limit %s) p', rows,
            case when behind is null then '' else format('where (p.rank, p.id) < (%L::bigint, %L::uuid)', behind, behind_id) end,
            most), 'true', 'p.rank desc, p.id desc', most);
    end case;
    return query execute format(
        'select page.id, t.slug, t.locale, t.title, p.image, (p.offers ->> %L)::bigint, p.in_stock, page.place
           from (%s) page join products p on p.id = page.id
           join lateral (select t.locale, t.title, t.slug from product_texts t
                          where t.product_id = page.id and t.locale = any(%L::text[])
                          order by array_position(%L::text[], t.locale) limit 1) t on true
          order by page.place = %L, page.n limit %s', wanted ->> 'currency', rows, locales, locales, least, most);
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
