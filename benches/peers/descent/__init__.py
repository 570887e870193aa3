"""Block coordinate descent beside its authors' code, and beside what else solves its problems."""
