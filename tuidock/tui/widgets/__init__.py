"""What panes and screens share; none of them knows the engine."""
