"""Users: accounts, addresses, logins, and the tokens by which everybody else knows who calls.

Owns     users, addresses, sessions, refresh_tokens, email_tokens, tries, api_keys,
         second_factors, recovery_codes, invitations, roles, the audit trail
Says     UserRegistered, RegistrationRepeated, EmailVerificationRequested,
         PasswordResetRequested, RefreshTokenReused, EmailChanged, StaffInvited, AccessChanged,
         RoleChanged, UserErased
Hears    ActionNoted of every service
Asks     nobody
Answers  /api/v1/auth, /api/v1/me, /api/v1/users, /api/v1/api-keys, /api/v1/audit-trail,
         /api/v1/roles, /api/v1/permissions, /api/v1/invitations
"""
