"""What the terminal shows of a cluster; loaded only where there is one."""
