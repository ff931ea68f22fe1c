"""The reviewer's own screens: waiting, and the packet with the decision."""
