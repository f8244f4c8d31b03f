"""The REST API of a VTN, under `/api`: Litestar on the model's own types.

`resource` has one module for each kind of thing; a new one is a module with a `Router`, named in `RESOURCES`.
`gate` stands before all of them: it knows who asks, keeps repeated requests from being done twice, and writes down who
did what.
"""
