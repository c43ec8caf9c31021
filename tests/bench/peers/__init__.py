"""The usual ways to write what this project does, each as its own documents teach; `ours` is the service itself."""
