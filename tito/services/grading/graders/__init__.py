"""Who grades by hand: lists for many graders, codes for names, written answers out and in, requests to look again."""
