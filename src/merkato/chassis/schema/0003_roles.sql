-- Roles that a shop made itself, as users said them last; those of the code are not here.

create table custom_roles (
    name        text   primary key,
    version     bigint not null,
    permissions text[] not null,  -- none: the role has ended, or grants nothing
    check (version > 0)
);
