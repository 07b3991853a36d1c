//! Which target next: routes, attempt budget, commit point, clocks and health as pure state machines.
