"""The logs: buffers with the newest lines, how lines become rows of the screen, and the pane that shows them."""
