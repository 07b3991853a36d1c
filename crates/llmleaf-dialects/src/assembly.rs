//! Boundary-less deltas to blocks: index-to-id bridges, reasoning without start or end, argument assembly.
