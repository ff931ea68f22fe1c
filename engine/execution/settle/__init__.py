"""What the venue says of orders, taken in: asking, converging, orphans, orders given up."""
