-- What the shop sells, in which words, and for how much. Money in minor units of its currency.

create table price_lists (
    name         text    primary key,
    tax_included boolean not null  -- whether the prices of this list include tax
);
insert into price_lists values ('standard', true);

create table products (  -- the aggregate: its version covers texts, variants and prices too
    id           uuid        primary key,
    status       text        not null check (status in ('draft', 'active', 'archived')),
    options      jsonb       not null check (jsonb_typeof(options) = 'array'),  -- what to choose, in order
    attributes   jsonb       not null check (jsonb_typeof(attributes) = 'object'),
    metadata     jsonb       not null check (jsonb_typeof(metadata) = 'object'),
    version      bigint      not null default 1 check (version > 0),
    in_stock     text        not null default 'no' check (in_stock in ('yes', 'few', 'no')),  -- best of its variants
    offers       jsonb       not null default '{}',  -- lowest price in force of its living variants, by currency
    created_at   timestamptz not null default clock_timestamp(),
    changed_at   timestamptz not null default clock_timestamp(),
    published_at timestamptz,  -- when it became active for the first time
    check (status <> 'active' or published_at is not null)
);
create index products_newest on products (published_at desc, id desc) where status = 'active';
create index products_by_attribute on products using gin (attributes jsonb_path_ops) where status = 'active';

create table product_texts (
    product_id  uuid    not null references products,
    locale      text    not null,
    title       text    not null,
    description text    not null,
    slug        text    not null,
    living      boolean not null,  -- false when archived: the slug is free again
    sort_title  text    not null collate "C",  -- the title as it is sorted by
    search      tsvector not null,  -- folded words as they are and stemmed; titles weigh A, the rest D
    primary key (product_id, locale)
);
create unique index product_slugs on product_texts (slug, locale) where living;
create index product_search on product_texts using gin (search) where living;

create table old_slugs (  -- slugs a product once had; they lead to it while nobody living has them
    slug       text        not null,
    locale     text        not null,
    product_id uuid        not null references products,
    ended_at   timestamptz not null default clock_timestamp(),
    primary key (slug, locale)
);

create table variants (
    sku               text    primary key check (sku ~ '^[!-~]{1,64}$'),
    product_id        uuid    not null references products,
    position          int     not null,  -- order within the product
    options           jsonb   not null check (jsonb_typeof(options) = 'object'),
    track_stock       boolean not null,
    requires_shipping boolean not null,
    weight_g          int     not null check (weight_g >= 0),
    tax_class         text    not null,
    image             text,  -- path or URL
    metadata          jsonb   not null check (jsonb_typeof(metadata) = 'object'),
    archived          boolean not null default false,
    version           bigint  not null default 0,  -- of what VariantPriced says; grows with each
    prices            jsonb   not null default '[]'  -- those in force when it was last said
);
create unique index variants_sku on variants (lower(sku));
create index variants_by_product on variants (product_id, position);
create unique index variants_options on variants (product_id, options) where not archived;

create table prices (  -- what one piece costs from so many pieces and from that moment on
    sku           text        not null references variants,
    price_list    text        not null references price_lists,
    currency      text        not null check (currency ~ '^[A-Z]{3}$'),
    from_quantity int         not null check (from_quantity between 1 and 1000000),
    valid_from    timestamptz not null,
    amount_minor  bigint      not null check (amount_minor between 0 and 1000000000000),
    said          boolean     not null default false,  -- has been in force when VariantPriced was said
    primary key (sku, price_list, currency, from_quantity, valid_from)
);
create index prices_due on prices (valid_from) where not said;

-- The lookup of prices: of each sku, list, currency and quantity the newest that is valid already.
create function prices_in_force(skus text[])
returns table (sku text, price_list text, currency text, from_quantity int, amount_minor bigint, tax_included boolean)
language sql stable as $$
    select distinct on (p.sku, p.price_list, p.currency, p.from_quantity)
           p.sku, p.price_list, p.currency, p.from_quantity, p.amount_minor, l.tax_included
      from prices p join price_lists l on l.name = p.price_list
     where p.sku = any(skus) and p.valid_from <= clock_timestamp()
     order by p.sku, p.price_list, p.currency, p.from_quantity, p.valid_from desc
$$;

create table availability (  -- what inventory said last
    sku_key   text   primary key,  -- the sku in lower case
    level     text   not null check (level in ('yes', 'few', 'no')),
    available int    not null,
    version   bigint not null
);

create table categories (
    id         uuid        primary key,
    parent_id  uuid        references categories,  -- null at the top
    position   int         not null default 0,  -- among its siblings
    version    bigint      not null default 1,
    created_at timestamptz not null default clock_timestamp()
);
create index categories_by_parent on categories (parent_id);

-- The tree has no cycles: whoever hangs a node anew waits for all others who do, and then looks.
create function refuse_cycle() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('catalog category tree', 0));
    if exists (
        with recursive above (id, parent_id) as (
            select id, parent_id from categories where id = new.parent_id
            union
            select c.id, c.parent_id from categories c join above a on c.id = a.parent_id)
        select from above where id = new.id) or new.id = new.parent_id
    then
        raise exception 'category % below itself', new.id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger categories_are_a_tree before insert or update of parent_id on categories
    for each row execute function refuse_cycle();

create table category_texts (
    category_id uuid not null references categories on delete cascade,
    locale      text not null,
    title       text not null,
    description text not null,
    slug        text not null,
    primary key (category_id, locale),
    unique (slug, locale)
);

create table product_categories (
    product_id  uuid not null references products,
    category_id uuid not null references categories on delete cascade,
    primary key (product_id, category_id)
);
create index product_categories_by_category on product_categories (category_id);

-- The best that a product's living variants have: untracked ones are always there.
create function stock_level(product uuid) returns text language sql stable as $$
    select case when bool_or(level = 'yes') then 'yes' when bool_or(level = 'few') then 'few' else 'no' end
      from (select case when v.track_stock then a.level else 'yes' end as level
              from variants v left join availability a on a.sku_key = lower(v.sku)
             where v.product_id = product and not v.archived) levels
$$;

-- Products on sale that fit a search and filters (null: any), in the best of the given locales.
-- `filters` is [[alternative, …], …]: of each list at least one must be among the attributes.
create function matching(locales text[], search text, language regconfig, fallback regconfig, in_categories uuid[],
                         currency text, low bigint, high bigint, there boolean, filters jsonb)
returns table (id uuid, slug text, locale text, title text, sort_title text, image text, from_minor bigint,
               in_stock text, published_at timestamptz, rank bigint)
language sql stable as $$
    with found as materialized (  -- one product may match in several locales
        select t.product_id, max((ts_rank_cd(t.search, q.query, 1) * 1000000)::bigint) as rank
          from (select to_tsquery('simple', $2) || to_tsquery(language, $2) || to_tsquery(fallback, $2)) q(query)
          join product_texts t on t.search @@ q.query and t.living and t.locale = any(locales)
         where $2 is not null group by t.product_id)
    select p.id, t.slug, t.locale, t.title, t.sort_title,
           (select v.image from variants v where v.product_id = p.id and not v.archived and v.image is not null
             order by v.position limit 1),
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
