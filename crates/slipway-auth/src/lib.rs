//! Who is calling and may they: SigV4, credentials, users, roles, policies, STS sessions.
