//! One exchange: attempts, commit point, clocks, cancellation, ledger. The one driver.
