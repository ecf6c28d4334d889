import "./api";
import "./format";
import "./forms";
import "./kept";
import "./money";
import "./sources";
import "./stream";
import "./texts";
