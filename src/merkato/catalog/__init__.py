"""Catalog: what the shop sells, in which words, and for how much.

Owns products with their texts, images, variants and prices, price lists, and the tree of
categories.
Says ProductPublished, ProductChanged, ProductArchived, and VariantPriced: all that must be known
to sell a sku, whole at every change.
Hears inventory.stock_changed, for "in stock: yes, few, no".
Asks nobody.
Answers /api/v1/products, /api/v1/variants, /api/v1/prices, /api/v1/price-lists,
/api/v1/categories; and /images.
"""
