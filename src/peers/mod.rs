//! The wire types and rules that node, home and command line share.
