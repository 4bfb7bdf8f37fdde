"""What an image is made from: the content key of each service, the graph of services, what has to be built and why."""
