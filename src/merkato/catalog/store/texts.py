"""Statements that keep the texts of products, and what stands beside these to search them by."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from merkato.catalog.domain.products import Product
from merkato.catalog.domain.words import language, words
from merkato.chassis.db import Tx

WORD_MAX = 40  # letters; longer words of titles are not what typing mistakes are corrected to


FILE_TEXTS = """
update product_texts t
   set on_sale = p.status = 'active', traits = p.traits, categories = p.categories
  from products p
 where p.id = t.product_id and t.product_id = any($1)
   and (t.on_sale, t.traits, t.categories) is distinct from
       (p.status = 'active', p.traits, p.categories)
"""


async def file(tx: Tx, product_ids: Sequence[UUID]) -> None:
    """Keep beside texts what they are searched and filtered by together."""
    await tx.execute(FILE_TEXTS, product_ids)


async def replace(tx: Tx, products: Sequence[Product]) -> tuple[str, str] | None:
    """Keep the texts of products. Gives a (locale, slug) that a living product has, if any."""
    await _remember_slugs(tx, products)
    await _drop_texts(tx, [product.id for product in products])
    return await _add_texts(tx, products)


REMEMBER_SLUGS = """
insert into old_slugs (slug, locale, product_id)
select t.slug, t.locale, t.product_id
  from unnest($1::uuid[], $2::jsonb[]) n(id, slugs) join product_texts t on t.product_id = n.id
 where not n.slugs ? t.slug order by t.slug, t.locale
on conflict (slug, locale) do update
   set product_id = excluded.product_id, ended_at = excluded.ended_at
"""


async def _remember_slugs(tx: Tx, products: Sequence[Product]) -> None:
    slugs = [tuple(text.slug for text in product.texts.values()) for product in products]
    await tx.execute(REMEMBER_SLUGS, [product.id for product in products], slugs)


DROP_TEXTS = "delete from product_texts where product_id = any($1)"


async def _drop_texts(tx: Tx, product_ids: Sequence[UUID]) -> None:
    await tx.execute(DROP_TEXTS, product_ids)


ADD_TEXTS = """
insert into product_texts
       (product_id, locale, title, description, slug, living, sort_title, search, on_sale, traits,
        categories)
select product_id, locale, title, description, slug, living, words_a,
       setweight(to_tsvector('simple', words_a), 'A')
         || setweight(to_tsvector(config::regconfig, words_a), 'A')
         || setweight(to_tsvector('simple', words_d), 'D')
         || setweight(to_tsvector(config::regconfig, words_d), 'D'),
       p.status = 'active', p.traits, p.categories
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::text[],
              $8::text[], $9::text[])
       t(product_id, locale, title, description, slug, living, config, words_a, words_d)
  join products p on p.id = t.product_id
 order by slug, locale
on conflict do nothing returning locale, slug
"""


async def _add_texts(tx: Tx, products: Sequence[Product]) -> tuple[str, str] | None:
    every = [
        (product, locale, text) for product in products for locale, text in product.texts.items()
    ]
    titles = [" ".join(words(text.title)) for _, _, text in every]
    rows = await tx.fetch(
        ADD_TEXTS, [product.id for product, _, _ in every], [locale for _, locale, _ in every],
        [text.title for _, _, text in every], [text.description for _, _, text in every],
        [text.slug for _, _, text in every], [p.status != "archived" for p, _, _ in every],
        [language(locale) for _, locale, _ in every], titles,
        [" ".join(words(text.description)) for _, _, text in every],
    )  # fmt: skip
    await _add_words(tx, titles)
    left = Counter((locale, text.slug or "") for _, locale, text in every)
    left.subtract((row["locale"], row["slug"]) for row in rows)
    return next(iter(+left), None)


ADD_WORDS = """
insert into words
select w, trigrams(w) from unnest($1::text[]) w
 where not exists (select from words k where k.word = w) order by w
on conflict do nothing
"""


async def _add_words(tx: Tx, titles: Sequence[str]) -> None:
    found = {word for title in titles for word in title.split()}
    await tx.execute(ADD_WORDS, sorted(word for word in found if len(word) <= WORD_MAX))
