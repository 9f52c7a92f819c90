-- Lists again, for a hundred thousand products and sixteen who ask at once: products are looked up one by one until a
-- page is full, never hashed all; those without a price are looked for only where a page has room for them; the
-- products of a category are read from its index alone.

create index product_categories_of_category on product_categories (category_id) include (product_id);
drop index product_categories_by_category;

-- As before, cutting the word that was asked for into pieces once, not once for every word that is looked at.
create or replace function like_words(asked text, most int) returns table (word text, likeness real)
language sql stable as $$
    with wanted as materialized (select trigrams(asked) as pieces)
    select w.word, (shared.n / (cardinality(w.trigrams) + cardinality((select pieces from wanted)) - shared.n))::real
      from words w
      cross join lateral (select count(*)::real from unnest(w.trigrams) piece
                           where piece = any((select pieces from wanted)::text[])) shared(n)
     where w.trigrams && (select pieces from wanted)
       and length(w.word) between length(asked) - 2 and length(asked) + 2
     order by 2 desc, 1 limit most
$$;

-- As before, but for what the lines above say.
create or replace function listed(wanted jsonb, sort text, behind text, behind_id uuid, most int, candidates int)
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
