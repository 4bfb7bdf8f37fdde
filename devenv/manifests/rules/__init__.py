"""The rules, one module a theme. Importing a module registers its rules."""
