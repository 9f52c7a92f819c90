"""Catalog: what the shop sells, in which words, and for how much.

Owns products with their texts, images, variants and prices, price lists, the tree of categories,
and the imports of files.
Says ProductPublished, ProductChanged, ProductArchived, and VariantPriced: all that must be known
to sell a sku, whole at every change.
Hears inventory.stock_changed, for "in stock: yes, few, no".
Asks nobody.
Answers /api/v1/products, /api/v1/variants, /api/v1/prices, /api/v1/price-lists,
/api/v1/categories, /api/v1/imports and /api/v1/exports; and /images.
"""
