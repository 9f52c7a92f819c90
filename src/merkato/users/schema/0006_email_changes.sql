-- A link by which another e-mail address is confirmed carries it: the account has it only then.

alter table email_tokens add column email text, add column email_key text;
alter table email_tokens drop constraint email_tokens_purpose_check;
alter table email_tokens add constraint email_tokens_purpose_check
      check (purpose in ('verify', 'reset', 'email'));
alter table email_tokens add constraint email_tokens_email_check
      check ((purpose = 'email') = (email is not null) and (email is null) = (email_key is null));
