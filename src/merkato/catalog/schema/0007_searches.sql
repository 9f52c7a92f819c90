-- Searches are as quick right after a change of many products as they are later.

-- What was changed lately waits in a list that every search reads whole: a short one instead of 4 MB.
alter index products_filtered set (gin_pending_list_limit = 256);
alter index product_search set (gin_pending_list_limit = 256);
alter index product_title_search set (gin_pending_list_limit = 256);
alter index words_by_trigram set (gin_pending_list_limit = 256);
alter index words_by_shortened set (gin_pending_list_limit = 256);

-- Whether a search finds anything in any text. The planner believes that reading all texts in turn soon ends at one that
-- fits; of a word that nobody uses it never does.
create function finds(wanted jsonb) returns boolean language plpgsql stable set enable_seqscan = off as $$
declare
    asked tsquery := search_query(wanted);
begin
    return exists (select from product_texts where on_sale and search @@ asked);
end $$;
