"""The REST resources, one class each. `routes` is the one list of paths, methods and roles.

A resource reads the engine through `northbound.schema.view.View` and changes it through `model.control.Control`. What has to
outlive the controller it stores through `store`. It answers with plain data. It knows no socket, no header but those in
its `Call`, and no other resource's state.
"""
