"""What REST offers, one composed class a resource; `routes` is the one registry of who may do what where.

A resource asks the engine through `model.view.View`, tells it through `model.control.Control`, keeps what has to outlive
the controller through `store`, and answers with plain data. It knows no socket, no header but those in its `Call`, and
never another resource's state.
"""
