"""What the pinned emulator of AWS lacks, loaded into its process; see the README beside this package."""
