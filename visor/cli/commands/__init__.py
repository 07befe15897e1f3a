"""The commands, a module for each family; `visor.cli.app` lists them."""
