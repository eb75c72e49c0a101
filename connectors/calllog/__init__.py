"""The call log: finished calls, as items of the ECS side. It is a small database of its own, on this machine."""
