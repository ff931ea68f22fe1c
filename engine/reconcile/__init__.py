"""Pure: comparing three sides and classifying what differs.

`rows` is what is compared, `causes` the table of differences, `report` the document, `compare` the
comparison.
"""
