"""The steps of `wardlake dev refresh`, one file each: gather what came before, decide, apply."""
