//! The surface: route registry, listeners, authentication, admin and discovery.
