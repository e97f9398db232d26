"""`python -m app`: the API server."""

import gc

# Nearly all that the imports make lives as long as the process: collecting among it takes a sixth of their time.
# `Service.running` switches the collector on when the service has started.
gc.disable()

from app.serve import main  # noqa: E402

main()
