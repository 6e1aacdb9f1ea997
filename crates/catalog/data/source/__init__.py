"""The readers of the packages that the catalogue is made from: each turns one package into plain rows."""
