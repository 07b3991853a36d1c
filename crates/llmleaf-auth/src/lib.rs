//! Who is calling: consumer keys, password hashes and grants. Pure; the caller supplies time and threads.
