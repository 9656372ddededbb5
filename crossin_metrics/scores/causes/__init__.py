"""What consistency is made of: noise, shared errors, the reason of each disagreement, unequal changes, odd questions.

Scores say how often languages agree; these modules say why they do not.
"""
