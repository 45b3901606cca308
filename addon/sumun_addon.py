"""``mitmdump -s addon/sumun_addon.py --set sumun_config=config/sumun.yaml``: the filter inside another mitmproxy.

For trying; a network should rely on ``sumun proxy``, which no change of a file can unload.
"""

from sumun.bootstrap.inside_mitmproxy import mitmproxy_addons

addons = mitmproxy_addons()
