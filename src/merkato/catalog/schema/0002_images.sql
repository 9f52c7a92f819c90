-- Images of products, re-encoded. A file is named after its content: it never changes, and orders of the past
-- go on showing it, so that files stay when an image is removed.

create table image_files (
    name       text        primary key,  -- SHA-256 of the content, shortened, and .webp
    content    bytea       not null,
    created_at timestamptz not null default clock_timestamp()
);
alter table image_files alter column content set storage external;  -- it is compressed already

create table images (
    id         uuid  primary key,
    product_id uuid  not null references products,
    position   int   not null,  -- order within the product; the first one stands for it
    digest     text  not null,  -- SHA-256 of what was uploaded
    sizes      jsonb not null check (jsonb_typeof(sizes) = 'array'),  -- name, width, height of each; smallest first
    alts       jsonb not null check (jsonb_typeof(alts) = 'object'),  -- what it shows, in words, by locale
    unique (product_id, digest)
);
create index images_by_product on images (product_id, position);

alter table products add column image text;  -- what lists show: the first image, else a variant's own
update products p set image = (
    select v.image from variants v where v.product_id = p.id and not v.archived and v.image is not null
     order by v.position limit 1);

-- The images of a product as its page shows them, in order; `alt` in the best of the given locales.
create function product_images(product uuid, locales text[]) returns json language sql stable as $$
    select coalesce(json_agg(json_build_object(
               'id', i.id, 'url', '/images/' || (i.sizes -> -1 ->> 'name'),
               'width', i.sizes -> -1 -> 'width', 'height', i.sizes -> -1 -> 'height',
               'alt', (select a.value from jsonb_each_text(i.alts) a where a.key = any(locales)
                        order by array_position(locales, a.key) limit 1),
               'alts', i.alts,
               'sizes', (select json_agg(json_build_object(
                                'url', '/images/' || (s ->> 'name'),
                                'width', s -> 'width', 'height', s -> 'height') order by n)
                           from jsonb_array_elements(i.sizes) with ordinality e(s, n))) order by i.position), '[]')
      from images i where i.product_id = product
$$;

-- As before, with the image that is kept with the product.
create or replace function matching(locales text[], search text, language regconfig, fallback regconfig,
                                    in_categories uuid[], currency text, low bigint, high bigint, there boolean,
                                    filters jsonb)
returns table (id uuid, slug text, locale text, title text, sort_title text, image text, from_minor bigint,
               in_stock text, published_at timestamptz, rank bigint)
language sql stable as $$
    with found as materialized (  -- one product may match in several locales
        select t.product_id, max((ts_rank_cd(t.search, q.query, 1) * 1000000)::bigint) as rank
          from (select to_tsquery('simple', $2) || to_tsquery(language, $2) || to_tsquery(fallback, $2)) q(query)
          join product_texts t on t.search @@ q.query and t.living and t.locale = any(locales)
         where $2 is not null group by t.product_id)
    select p.id, t.slug, t.locale, t.title, t.sort_title,
           p.image,
           (p.offers ->> currency)::bigint, p.in_stock, p.published_at, coalesce(f.rank, 0)
      from products p
      join lateral (select t.locale, t.title, t.sort_title, t.slug from product_texts t
                     where t.product_id = p.id and t.locale = any(locales)
                     order by array_position(locales, t.locale) limit 1) t on true
      left join found f on f.product_id = p.id
     where p.status = 'active'
       and ($2 is null or f.product_id is not null)
       and (in_categories is null or exists (
               select from product_categories c
                where c.product_id = p.id and c.category_id = any(in_categories)))
       and (low is null or (p.offers ->> currency)::bigint >= low)
       and (high is null or (p.offers ->> currency)::bigint <= high)
       and (there is null or (p.in_stock <> 'no') = there)
       and (filters is null or not exists (
               select from jsonb_array_elements(filters) f
                where not exists (select from jsonb_array_elements(f) alternative
                                   where p.attributes @> alternative)))
$$;
