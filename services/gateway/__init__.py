"""The edge of the house: REST, WebSocket, signatures, rate limits, the public shape of a problem.

Owns nothing. Hears requests from outside, the keys from accounts and the streams of the other
rooms; says commands to matching, and decimal strings to the world.
"""
