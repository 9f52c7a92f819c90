-- A person is found by the address that was given: to be forgotten, or to be helped.
create index order_contacts_by_email on order_contacts (lower(contact ->> 'email'));
