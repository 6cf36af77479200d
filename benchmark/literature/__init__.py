"""What others published: the paper's tables and claims, its released probes, tables of other papers."""
