"""`python -m ridethrough` is the same as `ridethrough`."""

import sys

from .cli import main

sys.exit(main())
