"""Pure: pre-trade limits and breakers. `facts` is what is known, `limits` judges an order by it."""
