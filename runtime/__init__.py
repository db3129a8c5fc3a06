"""What every process needs: clock, supervisor, logs, metrics, health."""
