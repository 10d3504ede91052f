"""More machines than this one: submissions scored by the workers of a Dask scheduler, each in its own sandbox."""
