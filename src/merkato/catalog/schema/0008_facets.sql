-- Facets are counted by statements that are planned once, and without the names of categories, which change seldom:
-- whoever asks keeps the tree and is told when it is another.

create table category_tree (  -- one row
    version         bigint      not null  -- grows with every change of a category or its texts
);
insert into category_tree values (1);

create function grow_tree() returns trigger language plpgsql as $$
begin
    update category_tree set version = version + 1;
    return null;
end $$;
create trigger tree_grows after insert or update or delete on categories for each statement execute function grow_tree();
create trigger tree_grows after insert or update or delete on category_texts for each statement execute function grow_tree();

-- The products that a search finds, the best first and no more than `most`.
create function best_found(wanted jsonb, most int) returns uuid[] language plpgsql stable as $$
declare
    texts text;
    best  uuid[];
begin
    select string_agg(format('(select t.product_id from (%s) t)', t.texts), ' union all ') into texts from tiers(wanted) t;
    -- so many texts that they are of `most` products if there are so many
    execute format('select array(select product_id from (select product_id, row_number() over () as n from (%s limit %s) t) t
                                  group by product_id order by min(n) limit %s)',
                   texts, most * jsonb_array_length(wanted -> 'locales'), most) into best;
    return best;
end $$;

-- What is counted of the products that fit; of those in `best` where that is given.
create function hits(wanted jsonb, best uuid[])
returns table (in_stock text, traits text[], categories uuid[], from_minor bigint) language plpgsql stable as $$
declare
    currency text := wanted ->> 'currency';
    offer    text := offered(wanted);
begin
    if best is not null and offer = '' then
        return query select p.in_stock, p.traits, p.categories, (p.offers ->> currency)::bigint
                       from products p where p.status = 'active' and p.id = any(best);
    else
        return query execute format('select p.in_stock, p.traits, p.categories, (p.offers ->> $2)::bigint
                                       from products p where p.status = ''active''%s',
                                    case when best is null then filters(wanted, 'p') else ' and p.id = any($1)' end || offer)
                       using best, currency;
    end if;
end $$;

-- How many of the products that fit have what, of the facets in `which`: total, category, price, in_stock, attributes
-- (`one` of them, or all but `left_out`). Filters that are not to count for a facet are left out by whoever asks.
-- Of a search that finds more than `most` products, the facets of the best `most`, which `capped` tells.
-- `category` says how many products are in the same categories, `tree` the version of the tree these are in.
create function count_facets(wanted jsonb, which text[], one text, left_out text[], names_most int, values_most int, most int)
returns json language plpgsql stable as $$
declare
    best uuid[] := case when wanted ->> 'search' is not null then best_found(wanted, most + 1) end;
begin
    return (
        with hits as materialized (select * from hits(wanted, best[:most])),
        whole as (
            select count(*) as total, count(*) filter (where in_stock <> 'no') as yes,
                   count(*) filter (where in_stock = 'no') as no, min(from_minor) as least, max(from_minor) as highest from hits)
        select json_build_object(
            'tree', (select version from category_tree),
            'capped', coalesce(cardinality(best) > most, false),
            'total', total,
            'in_stock', case when 'in_stock' = any(which) then json_build_object('yes', yes, 'no', no) end,
            'price', case when 'price' = any(which) then json_build_object('min_minor', least, 'max_minor', highest) end,
            'category', case when 'category' = any(which) then (
                select coalesce(json_agg(json_build_array(categories, count)), '[]')
                  from (select categories, count(*) from hits group by categories) c) end,
            'attributes', case when 'attributes' = any(which) then (
                select coalesce(json_object_agg(name, values), '{}')
                  from (select name, json_agg(json_build_object('value', value, 'count', count)
                                              order by count desc, value) as values
                          from (select *, row_number() over (partition by name order by count desc, value) as n,
                                       sum(count) over (partition by name) as whole
                                  from (select a.key as name, a.value, t.count
                                          from (select unnest(traits) as trait, count(*) from hits group by 1) t
                                          cross join jsonb_each(t.trait::jsonb) a
                                         where coalesce(a.key = one, a.key <> all(left_out))) counted) ranked
                         where n <= values_most group by name, whole order by whole desc, name limit names_most) named) end)
          from whole);
end $$;
