//! The grammar of lockgate.yaml: read with positions, compiled to meaning, all mistakes at once.
