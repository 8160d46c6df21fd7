"""Other people's indexes, brought into an index repository, and this one's written out for them.

What is read is hostile until it has been checked, and what comes of it is validated as every change is.
"""
