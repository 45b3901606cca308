"""DNS over HTTPS (RFC 8484).

requests  what a request means, and how long its answer may be kept; knows no HTTP
fields    header fields of HTTP/2, compressed
frames    what HTTP/2 is made of
patience  what a client may cost
http2     the protocol: octets in, requests out
http1     the same for HTTP/1.1
speaking  a connection: requests to queries, answers to responses
"""
