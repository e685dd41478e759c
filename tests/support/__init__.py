"""What tests are built from: accounts, warehouses, files, commands, and what must be in them afterwards."""
